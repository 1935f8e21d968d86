// The words of a page: the extension's own _locales, and those that only pages need, in the first
// of the reader's languages that there is.

const FOLDERS = { en: 'en', es: 'es', zh: 'zh_CN' };

/** `words(key, args)`, as `chrome.i18n.getMessage` does it. */
export async function load(wanted = navigator.languages) {
  const known = wanted.map(tag => tag.toLowerCase().split('-')[0]).find(tag => tag in FOLDERS) ?? 'en';
  const json = async path => {
    const answer = await fetch(path).catch(() => undefined);
    return answer?.ok ? answer.json() : {};
  };
  const files = [...new Set(['en', known])].flatMap(tag => [
    json(`_locales/${FOLDERS[tag]}/messages.json`), json(`words/${tag}.json`),
  ]);
  const messages = Object.assign({}, ...await Promise.all(files));
  return (key, args = []) => fill(messages[key], [args].flat());
}

// Chrome's format: `$NAME$` stands for a placeholder, whose content names an argument, `$1` to `$9`.
function fill(found, args) {
  if (!found) return '';
  const { message = found, placeholders = {} } = found;
  const contents = Object.fromEntries(
    Object.entries(placeholders).map(([name, { content }]) => [name.toLowerCase(), content]));
  return message
    .replace(/\$(\w+)\$/g, (whole, name) => contents[name.toLowerCase()] ?? whole)
    .replace(/\$([1-9])/g, (_, number) => args[number - 1] ?? '')
    .replaceAll('$$', '$');
}
