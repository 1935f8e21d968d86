// What the relay's own page shares with its frames on other sites: cookies, because they are what
// every browser lets a frame reach after `requestStorageAccess()`; Firefox lets it reach nothing
// else. Only what the frame itself is fetched by carries them to the relay.

/** Who is asked to keep a value for longer keeps it so long: seconds. */
export const LONGEST = 400 * 24 * 60 * 60;
const FOR_FRAMES = 'Path=/embed; SameSite=None; Secure';

/** The value with this name; `undefined` where there is none, and where no cookie can be reached. */
export function get(name) {
  try {
    const found = document.cookie.split('; ').find(pair => pair.startsWith(`${name}=`));
    return found?.slice(name.length + 1);
  } catch {
    return undefined;
  }
}

/** Keeps a value of letters, digits and `-` for so many seconds; 0 removes it. */
export function set(name, value, seconds) {
  try {
    document.cookie = `${name}=${value}; Max-Age=${seconds}; ${FOR_FRAMES}`;
  } catch { /* Who asks for it finds none. */ }
}
