/**
 * A message bus with one peer, QEMU's `-display dbus,addr=`: enough of D-Bus to let it come in and to call its methods.
 * (D-Bus Specification 0.43: authentication, little-endian marshalling, the bus's own methods.)
 */
import { createServer, type Server, type Socket } from 'node:net';

const CALL = 1;
const RETURN = 2;
const ERROR = 3;
/** Header fields: their code and the D-Bus type of the value. */
const FIELD = { path: [1, 'o'], iface: [2, 's'], member: [3, 's'], error: [4, 's'], reply: [5, 'u'] } as const;
const DESTINATION = [6, 's'] as const;
const SENDER = [7, 's'] as const;
const SIGNATURE = [8, 'g'] as const;
const FIXED_HEADER = 16;
const GUID = '0123456789abcdef0123456789abcdef';

/** A value with its one-letter type. */
export type DbusValue =
  | readonly ['s', string]
  | readonly ['o', string]
  | readonly ['g', string]
  | readonly ['u', number]
  | readonly ['i', number]
  | readonly ['q', number];

/** Grows as values are put in; each at its alignment. */
class Writer {
  #bytes = Buffer.alloc(1024);
  length = 0;

  align(to: number): void {
    this.length = Math.ceil(this.length / to) * to;
  }

  byte(value: number): void {
    this.#bytes[this.length++] = value;
  }

  put([type, value]: DbusValue): void {
    if (type === 'g') {
      this.byte(value.length);
      this.#text(value);
    } else if (type === 's' || type === 'o') {
      this.align(4);
      this.length = this.#bytes.writeUInt32LE(Buffer.byteLength(value), this.length);
      this.#text(value);
    } else if (type === 'q') {
      this.align(2);
      this.length = this.#bytes.writeUInt16LE(value, this.length);
    } else {
      this.align(4);
      this.length = this.#bytes.writeUInt32LE(value >>> 0, this.length);
    }
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  #text(value: string): void {
    this.length += this.#bytes.write(value, this.length);
    this.byte(0);
  }
}

type Field = readonly [readonly [code: number, type: string], string | number];

function message(type: number, serial: number, fields: readonly Field[], body: readonly DbusValue[]): Buffer {
  const content = new Writer();
  for (const value of body) content.put(value);
  const signature = body.map(([letter]) => letter).join('');
  const all: Field[] = signature === '' ? [...fields] : [...fields, [SIGNATURE, signature]];
  const header = new Writer();
  for (const byte of [0x6c, type, 0, 1]) header.byte(byte);
  header.put(['u', content.length]);
  header.put(['u', serial]);
  header.put(['u', 0]);
  for (const [[code, letter], value] of all) {
    header.align(8);
    header.byte(code);
    header.put(['g', letter]);
    header.put([letter, value] as DbusValue);
  }
  const bytes = header.bytes();
  bytes.writeUInt32LE(header.length - FIXED_HEADER, 12);
  header.align(8);
  return Buffer.concat([header.bytes(), content.bytes()]);
}

interface Received {
  readonly type: number;
  readonly serial: number;
  readonly member: string;
  readonly errorName: string;
  readonly replySerial: number;
}

/** Header fields of a message; the body is of no interest here. */
function parse(bytes: Buffer): Received {
  const end = FIXED_HEADER + bytes.readUInt32LE(12);
  const found = new Map<number, string | number>();
  for (let at = FIXED_HEADER; at < end; ) {
    at = Math.ceil(at / 8) * 8;
    const code = bytes[at]!;
    const type = String.fromCharCode(bytes[at + 2]!);
    at += 4;
    const value = type === 'g' ? bytes[at]! : bytes.readUInt32LE(at);
    if (type === 'u') at += 4;
    else {
      const from = at + (type === 'g' ? 1 : 4);
      found.set(code, bytes.toString('utf8', from, from + value));
      at = from + value + 1;
    }
    if (type === 'u') found.set(code, value);
  }
  return {
    type: bytes[1]!,
    serial: bytes.readUInt32LE(8),
    member: String(found.get(FIELD.member[0]) ?? ''),
    errorName: String(found.get(FIELD.error[0]) ?? ''),
    replySerial: Number(found.get(FIELD.reply[0]) ?? 0),
  };
}

/** What the bus itself answers; a method that is not here gets an error. */
const OWN_METHODS: Readonly<Record<string, readonly DbusValue[]>> = {
  Hello: [['s', ':1.1']],
  RequestName: [['u', 1]],
  ReleaseName: [['u', 1]],
  AddMatch: [],
  RemoveMatch: [],
};

/** The bus; {@link DbusBus.address} is for `-display dbus,addr=`. */
export class DbusBus {
  readonly address: string;
  readonly #server: Server;
  readonly #waiting = new Map<number, (reply: Received) => void>();
  readonly #peer: Promise<Socket>;
  #serial = 1;

  private constructor(path: string, server: Server) {
    this.address = `unix:path=${path}`;
    this.#server = server;
    this.#peer = new Promise((resolve) => {
      server.once('connection', (socket) => this.#serve(socket, () => resolve(socket)));
    });
  }

  /** Listens at a path. */
  static async listen(path: string): Promise<DbusBus> {
    const server = createServer();
    const bus = new DbusBus(path, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    return bus;
  }

  /** Calls a method of the peer once it has come. @throws Error with the name of a D-Bus error */
  async call(path: string, iface: string, member: string, body: readonly DbusValue[]): Promise<void> {
    const socket = await this.#peer;
    const serial = this.#serial++;
    const answered = new Promise<Received>((resolve) => {
      this.#waiting.set(serial, resolve);
    });
    const fields: Field[] = [
      [FIELD.path, path],
      [FIELD.iface, iface],
      [FIELD.member, member],
      [DESTINATION, ':1.1'],
      [SENDER, ':1.2'],
    ];
    socket.write(message(CALL, serial, fields, body));
    const reply = await answered;
    if (reply.type === ERROR) throw new Error(`${member}: ${reply.errorName}`);
  }

  async close(): Promise<void> {
    this.#server.close();
    (await Promise.race([this.#peer, undefined]))?.destroy();
  }

  /** Authentication is lines; from BEGIN on the stream is messages. */
  #serve(socket: Socket, ready: () => void): void {
    let rest = Buffer.alloc(0);
    let begun = false;
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      rest = Buffer.concat([rest, data]);
      while (!begun) {
        const end = rest.indexOf('\r\n');
        if (end < 0) return;
        const line = rest.toString('latin1', 0, end).replace('\0', '');
        rest = rest.subarray(end + 2);
        begun = line === 'BEGIN';
        if (/^AUTH EXTERNAL ./.test(line)) socket.write(`OK ${GUID}\r\n`);
        else if (/^AUTH\b/.test(line)) socket.write('REJECTED EXTERNAL\r\n');
        else if (!begun) socket.write('ERROR\r\n');
      }
      while (rest.length >= FIXED_HEADER) {
        const header = Math.ceil((FIXED_HEADER + rest.readUInt32LE(12)) / 8) * 8;
        const length = header + rest.readUInt32LE(4);
        if (rest.length < length) return;
        this.#message(socket, parse(rest.subarray(0, length)), ready);
        rest = rest.subarray(length);
      }
    });
  }

  #message(socket: Socket, received: Received, ready: () => void): void {
    const { type, serial, member, replySerial } = received;
    if (type === RETURN || type === ERROR) {
      this.#waiting.get(replySerial)?.(received);
      this.#waiting.delete(replySerial);
      return;
    }
    if (type !== CALL) return;
    const known = Object.hasOwn(OWN_METHODS, member);
    const fields: Field[] = [
      [FIELD.reply, serial],
      [SENDER, 'org.freedesktop.DBus'],
      ...(known ? [] : [[FIELD.error, 'org.freedesktop.DBus.Error.UnknownMethod'] as const]),
    ];
    socket.write(message(known ? RETURN : ERROR, this.#serial++, fields, known ? OWN_METHODS[member]! : []));
    // QEMU's objects are there before it asks for its name.
    if (member === 'RequestName') ready();
  }
}
