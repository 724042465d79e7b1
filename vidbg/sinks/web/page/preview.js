// The picture: JPEG images over a WebSocket, each acknowledged when it has been drawn, so that a
// slow page gets fewer of them and never a queue.
import { socket } from "./api.js";

// Draws on a canvas until `close()`; connects again when the connection ends.
// wanted(): the parameters of the connection, or null for none. drawn(), ended(): told of both.
export function showPicture(canvas, { wanted, drawn, ended }) {
  const context = canvas.getContext("2d");
  let connection = null, shown = null, retry = null;

  async function draw(data, from) {
    try {
      const image = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
      if (from === connection) {
        if (canvas.width !== image.width || canvas.height !== image.height) Object.assign(canvas, { width: image.width, height: image.height });
        context.drawImage(image, 0, 0);
        drawn(shown);
      }
      image.close();
    } catch { /* a broken picture; the next one comes soon */ }
    if (from.readyState === WebSocket.OPEN) from.send("ack");
  }

  function refresh() {
    clearTimeout(retry);
    const parameters = wanted();
    const fingerprint = JSON.stringify(parameters);
    if (connection && fingerprint === JSON.stringify(shown)) return;
    if (connection) {
      const old = connection;
      connection = null;
      old.close();
    }
    if (!parameters) { ended(); return; }
    shown = parameters;
    const opened = connection = socket("preview", parameters);
    opened.binaryType = "arraybuffer";
    opened.onmessage = ({ data }) => draw(data, opened);
    opened.onclose = () => {
      if (opened !== connection) return;
      connection = null;
      ended();
      retry = setTimeout(refresh, 1000);
    };
  }
  refresh();
  return {
    refresh,
    clear: () => context.clearRect(0, 0, canvas.width, canvas.height),
  };
}
