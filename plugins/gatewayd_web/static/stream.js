// One stream of news for all tabs of a browser: a browser opens few connections to one server.
"use strict";

const ports = new Set();
let source = null;
let pause = 1000;

function tell(what) {
  for (const port of ports) port.postMessage(what);
}

function open() {
  source = new EventSource("/stream");
  source.addEventListener("open", () => { pause = 1000; });
  source.addEventListener("mail", () => tell("mail"));
  source.addEventListener("end", () => { source.close(); source = null; tell("end"); });
  source.addEventListener("error", () => {
    // Where the server has gone the browser gives up; where it says that nobody is logged in, too.
    if (source?.readyState !== EventSource.CLOSED) return;
    source = null;
    setTimeout(() => ports.size && !source && open(), pause);
    pause = Math.min(pause * 2, 60000);
  });
}

self.addEventListener("connect", (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.addEventListener("message", (message) => {
    if (message.data !== "closed") return;
    ports.delete(port);
    if (!ports.size && source) { source.close(); source = null; }
  });
  port.start();
  if (!source) open();
});
