// A clock for a page whose own timers are slowed.
setInterval(() => postMessage(0), 2_000);
