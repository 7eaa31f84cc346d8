/** `type,key=value,...` as QEMU writes it: a comma inside a value is doubled. */
import { CliError } from './cli-error.ts';

/** A device of `oriel run`. */
export interface DeviceSpec {
  /** As it was given. */
  readonly text: string;
  readonly type: string;
  /** In their order; a key without '=' has the value null. */
  readonly entries: ReadonlyMap<string, string | null>;
}

/** Cuts at single commas and halves doubled ones: 'a,b=1,,2' is ['a', 'b=1,2']. */
function split(text: string): string[] {
  const parts = [''];
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') {
      parts[parts.length - 1] += text[at];
    } else if (text[at + 1] === ',') {
      parts[parts.length - 1] += ',';
      at++;
    } else {
      parts.push('');
    }
  }
  return parts;
}

/** @throws CliError: no type, an empty key, a key twice */
export function parseDeviceSpec(name: string, text: string): DeviceSpec {
  const [type = '', ...rest] = split(text);
  if (!/^[a-z]+$/.test(type)) {
    throw new CliError(`--${name}=${text}: give a device and its options, such as fs,socket-path=S,shared-dir=D,tag=T`);
  }
  const entries = new Map<string, string | null>();
  for (const part of rest) {
    const at = part.indexOf('=');
    const key = at === -1 ? part : part.slice(0, at);
    if (!/^[a-z][a-z-]*$/.test(key)) {
      throw new CliError(`--${name}=${type}: '${part}': give key=value, and double a comma that belongs to a value`);
    }
    if (entries.has(key)) {
      throw new CliError(`--${name}=${type}: ${key} is given twice: give it once`);
    }
    entries.set(key, at === -1 ? null : part.slice(at + 1));
  }
  return { text, type, entries };
}
