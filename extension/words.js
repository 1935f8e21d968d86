// Words, numbers and lists, as all the pages show them.

/** Puts words where `data-text` and `data-label` name them. */
export function fill(root, words) {
  for (const element of root.querySelectorAll('[data-text]')) {
    say(element, words(element.dataset.text));
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.ariaLabel = words(element.dataset.label);
  }
}

/** Numbers and times as people write them, in the language of the words. */
export function formats(words) {
  const language = words('lang');
  const number = options => {
    const format = new Intl.NumberFormat(language, options);
    return value => format.format(value);
  };
  const moment = options => {
    const format = new Intl.DateTimeFormat(language, options);
    return value => format.format(value);
  };
  const megabytes = number({ style: 'unit', unit: 'megabyte', maximumFractionDigits: 0 });
  const time = moment({ hour: 'numeric', minute: '2-digit' });
  const dated = moment({ weekday: 'short', hour: 'numeric', minute: '2-digit' });
  return {
    count: number({}),
    points: number({ maximumFractionDigits: 2 }),
    percent: number({ style: 'unit', unit: 'percent' }),
    bytes: count => megabytes(count / 1e6),
    time,
    when: at => (new Date(at).toDateString() === new Date().toDateString() ? time(at) : dated(at)),
    weekday: moment({ weekday: 'short', timeZone: 'UTC' }),
    weekdayLong: moment({ weekday: 'long', timeZone: 'UTC' }),
  };
}

/** Sets a text where it changed, so that a screen reader isn't told the same twice a second. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** As many items as values, each drawn by `draw(item, value)`. */
export function sync(list, template, values, draw) {
  while (list.children.length > values.length) list.lastElementChild.remove();
  while (list.children.length < values.length) {
    list.append(template.content.firstElementChild.cloneNode(true));
  }
  values.forEach((value, at) => draw(list.children[at], value));
}

/** What went wrong, in words where there are any: an error begins with its code. */
export function explain(words, error) {
  const text = String(error.message ?? error);
  const [, code, detail] = /^([a-z]+(?:[-_][a-z]+)+)(?:: )?(.*)$/s.exec(text) ?? [];
  return (code && words(`error_${code.replaceAll('-', '_')}`, detail)) || text;
}

/** Saves a text as a file. */
export function save(name, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
