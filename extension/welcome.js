// Explains, and starts nothing: no message goes to the node.
import { words } from './host.js';
import { fill } from './words.js';

fill(document, words);
document.title = words('name');
