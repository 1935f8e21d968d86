// Lets the pages open without the relay, where the browser allows that.
navigator.serviceWorker?.register('service-worker.js').catch(() => {});
