// The counter: once a request is paid, its code has done its work; `live.js` keeps everything else true.

const state = () => document.getElementById("state");

function tidy() {
  const paid = state()?.querySelector(".notice.good, .notice.warn, .notice.bad");
  const code = document.getElementById("code");
  if (paid && code) code.hidden = true;
}

if (state()) new MutationObserver(tidy).observe(state().parentElement, { childList: true, subtree: true });
tidy();
