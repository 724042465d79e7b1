// Draws on a canvas what comes over /ws, the newest picture first; connects again when it ends.
// wanted: whether to be connected; drawn: called after each picture; ended: after a connection.
// Returns what is to be called when `wanted` may have changed.
function showPicture(canvas, { wanted = () => true, drawn = () => {}, ended = () => {} } = {}) {
  const context = canvas.getContext("2d");
  let socket = null, newest = null, drawing = false;
  async function draw() {
    if (drawing) return;
    drawing = true;
    while (newest) {
      const jpeg = newest;
      newest = null;
      try {
        const image = await createImageBitmap(jpeg);
        if (canvas.width !== image.width) canvas.width = image.width;
        if (canvas.height !== image.height) canvas.height = image.height;
        context.drawImage(image, 0, 0);
        image.close();
        drawn();
      } catch { /* the next picture comes soon */ }
    }
    drawing = false;
  }
  function heed() {
    if (!wanted()) {
      if (socket) socket.close();
      return;
    }
    if (socket) return;
    socket = new WebSocket(`ws://${location.host}/ws${location.search}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => { newest = new Blob([event.data], { type: "image/jpeg" }); draw(); };
    socket.onclose = () => {
      socket = newest = null;
      context.clearRect(0, 0, canvas.width, canvas.height);
      ended();
      setTimeout(heed, 1000);
    };
  }
  heed();
  return heed;
}
