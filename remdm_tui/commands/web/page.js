// the cookie is enough from here on: neither the history nor a bookmark needs the secret
const address = new URL(location.href);
address.searchParams.delete("token");
history.replaceState(null, "", address);
const terminal = document.getElementById("terminal");
// it connects to where the page came from, through whatever forwards that
terminal.dataset.sessionWebsocketUrl = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + "/ws";
const size = Number(new URLSearchParams(location.search).get("fontsize"));
if (size >= 4 && size <= 64) terminal.dataset.fontSize = String(size);
document.getElementById("again").addEventListener("click", () => location.reload());
// keys go to it as soon as it shows something, without a click
new MutationObserver((_, watcher) => {
  if (!document.body.classList.contains("-first-byte")) return;
  watcher.disconnect();
  terminal.querySelector(".xterm-helper-textarea").focus();
}).observe(document.body, { attributeFilter: ["class"] });
