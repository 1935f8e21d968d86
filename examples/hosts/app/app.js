// A single-page application in twenty lines: the widget comes and goes with a view, and is loaded
// when a view first holds it.
const VIEWS = {
  '/app/': () => [heading('Home'), text('Nothing here but words.')],
  '/app/help': () => [heading('Help us'), document.createElement('grid-node'), text('Thank you!')],
};

const heading = words => Object.assign(document.createElement('h1'), { textContent: words });
const text = words => Object.assign(document.createElement('p'), { textContent: words });

function show() {
  document.querySelector('main').replaceChildren(...(VIEWS[location.pathname] ?? VIEWS['/app/'])());
  for (const node of document.querySelectorAll('grid-node')) node.dataset.site = 'SITE_KEY';
  if (document.querySelector('grid-node')) import('https://relay.example/embed.js');
}

document.querySelector('nav').onclick = event => {
  if (!event.target.href) return;
  event.preventDefault();
  history.pushState(null, '', event.target.href);
  show();
};
addEventListener('popstate', show);
show();
