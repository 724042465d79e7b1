// Shows the output and the run's state; settings are changed over the API.
const address = (path) => `ws://${location.host}/api/v1${path}${location.search}`;
const canvas = document.getElementById("picture");

const events = new WebSocket(address("/events"));
events.onmessage = ({ data }) => {
  const { state } = JSON.parse(data);
  document.getElementById("state").textContent = state.status ? state.status.words : "starting";
};

const preview = new WebSocket(address("/preview"));
preview.binaryType = "blob";
preview.onmessage = async ({ data }) => {
  const image = await createImageBitmap(data);
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  preview.send("");
};
