// Follows grid.js in the script of a sandboxed worker. The first message
// brings the compiled executor and the port on which its task comes.

// A function of any number of arguments, which passes them on as one array.
function variadic(f) {
  return (...values) => f(values);
}

onmessage = ({ data, ports }) => {
  onmessage = null;
  wasm_bindgen.initSync({ module: data });
  wasm_bindgen.execute(ports[0]);
};
