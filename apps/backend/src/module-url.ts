/** Where this program's own files are. */

/** A file of this program by its name without extension, beside this one: source or built. */
export function moduleUrl(name: string): URL {
  return new URL(`./${name}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);
}
