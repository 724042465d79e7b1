if (!window.obsstudio) document.body.style.background = "black";
showPicture(document.getElementById("video"));
