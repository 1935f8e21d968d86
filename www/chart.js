// <grid-chart data='{"times": [ms], "lines": [[name, [thousandths]]]}' label="in words">
// A line chart, over uPlot, which is loaded when the first chart comes into view.

let library;
const load = () => (library ??= new Promise((ready, fail) => {
  const script = document.createElement('script');
  script.src = 'uPlot.iife.min.js';
  script.onload = () => ready(globalThis.uPlot);
  script.onerror = fail;
  document.head.append(script);
}));

/** A colour of the page, as the sheet has it now. */
const colour = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

class GridChart extends HTMLElement {
  static observedAttributes = ['data', 'label'];

  connectedCallback() {
    this.setAttribute('role', 'img');
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(this);
    this.seen = new IntersectionObserver(entries => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      this.seen.disconnect();
      this.inView = true;
      this.show();
    }, { rootMargin: '100px' });
    this.seen.observe(this);
    this.scheme = matchMedia('(prefers-color-scheme: dark)');
    this.recolour = () => this.redraw();
    this.scheme.addEventListener('change', this.recolour);
  }

  disconnectedCallback() {
    this.resized.disconnect();
    this.seen.disconnect();
    this.scheme.removeEventListener('change', this.recolour);
    this.chart?.destroy();
    this.chart = undefined;
  }

  attributeChangedCallback(name, _, value) {
    if (name === 'label') this.setAttribute('aria-label', value ?? '');
    else this.show();
  }

  async show() {
    const json = this.getAttribute('data');
    if (!json || !this.inView || !this.isConnected) return;
    const { times, lines } = JSON.parse(json);
    if (!times.length) return;
    const columns = [times.map(time => time / 1000), ...lines.map(([, values]) => values.map(value => value / 1000))];
    const uPlot = await load();
    if (!this.isConnected || json !== this.getAttribute('data')) return;
    if (this.chart) this.chart.setData(columns);
    else this.draw(uPlot, lines.map(([name]) => name), columns);
  }

  draw(uPlot, names, columns) {
    const [accent, second, quiet, rule] =
      ['--accent', '--second', '--quiet', '--rule'].map(name => colour(this, name));
    const axis = { stroke: quiet, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: '12px system-ui' };
    const series = names.map((label, at) => ({
      label,
      stroke: at ? second : accent,
      dash: at ? [5, 4] : undefined,
      fill: at ? undefined : `color-mix(in srgb, ${accent} 14%, transparent)`,
      width: 2,
      points: { show: false },
    }));
    const options = {
      ...this.size(),
      series: [{}, ...series],
      axes: [{ ...axis, space: 70 }, { ...axis, size: 52 }],
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 0.001) * 1.05] } },
      legend: { show: names.length > 1, live: false },
      cursor: { show: false },
    };
    this.chart = new uPlot(options, columns, this);
  }

  size() {
    return { width: Math.max(this.clientWidth, 100), height: 170 };
  }

  resize() {
    const size = this.size();
    if (this.chart && this.chart.width !== size.width) this.chart.setSize(size);
  }

  redraw() {
    this.chart?.destroy();
    this.chart = undefined;
    this.show();
  }
}

customElements.define('grid-chart', GridChart);
