/** The interfaces that are known, with the shape of every message: what says how many descriptors one carries. */
import type { InterfaceTable, MessageLine, ProtocolTable } from './protocol-table.ts';
import { capture } from './tables/capture.ts';
import { core } from './tables/core.ts';
import { desktop } from './tables/desktop.ts';
import { input } from './tables/input.ts';
import { selection } from './tables/selection.ts';
import { tablet } from './tables/tablet.ts';
import { xdg } from './tables/xdg.ts';

/** int, uint, fixed, string, array, descriptor, object, new object. */
export type ArgumentKind = 'i' | 'u' | 'f' | 's' | 'a' | 'h' | 'o' | 'n';

export interface Argument {
  readonly kind: ArgumentKind;
  /** Of an object or new object; undefined where the protocol leaves it open. */
  readonly interfaceName: string | undefined;
}

/** The shape of one request or event. */
export interface Message {
  readonly name: string;
  /** In their order on the wire: a new object of no fixed interface is a string, a uint and an id. */
  readonly args: readonly Argument[];
  readonly fdCount: number;
  /** It makes an object. */
  readonly makesObject: boolean;
}

export interface Interface {
  readonly name: string;
  /** The newest version that is known. */
  readonly version: number;
  readonly requests: readonly Message[];
  readonly events: readonly Message[];
}

const TABLES: readonly ProtocolTable[] = [core, xdg, input, selection, capture, desktop, tablet];
const UNTYPED_NEW: readonly Argument[] = [
  { kind: 's', interfaceName: undefined },
  { kind: 'u', interfaceName: undefined },
  { kind: 'n', interfaceName: undefined },
];

const parsed = new Map<string, Interface>();

function parseArgument(word: string): readonly Argument[] {
  if (word === 'n') return UNTYPED_NEW;
  return [{ kind: word[0] as ArgumentKind, interfaceName: word.length > 2 ? word.slice(2) : undefined }];
}

function parseMessage(line: MessageLine): Message {
  const [name, ...words] = line.split(' ');
  const args = words.flatMap(parseArgument);
  return {
    name: name!,
    args,
    fdCount: args.filter(({ kind }) => kind === 'h').length,
    makesObject: args.some(({ kind }) => kind === 'n'),
  };
}

function tableOf(name: string): InterfaceTable | undefined {
  return TABLES.find((table) => Object.hasOwn(table, name))?.[name];
}

/** The interface of a name, or undefined for one that is not known: then nobody can tell which messages carry descriptors. */
export function interfaceOf(name: string): Interface | undefined {
  let found = parsed.get(name);
  if (found === undefined) {
    const table = tableOf(name);
    if (table === undefined) return undefined;
    const { version, requests, events } = table;
    found = { name, version, requests: requests.map(parseMessage), events: events.map(parseMessage) };
    parsed.set(name, found);
  }
  return found;
}

/** Every known name. */
export function interfaceNames(): string[] {
  return TABLES.flatMap((table) => Object.keys(table));
}
