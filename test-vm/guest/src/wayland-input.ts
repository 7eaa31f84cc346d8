/** A keyboard and a pointer for a compositor without any: a client with virtual devices, which are there as long as it is. */
import { EAGAIN, EPOLLIN, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, NodeLoop, openSys, SysError } from '@oriel/sys';
import { type ArgumentValue, DISPLAY_ID, encodeMessage, interfaceOf, MessageStream } from '@oriel/wl';
import { GuestError } from './errors.ts';
import { withTimeout } from './wait.ts';

/** Objects, in the order in which they are made: a compositor takes no gaps. */
const REGISTRY = 2;
const FIRST_CALLBACK = 3;
const SEAT = 4;
const KEYBOARDS = 5;
const POINTERS = 6;
const KEYBOARD = 7;
const POINTER = 8;
const MORE_CALLBACKS = 9;
/** What the devices come from, and the objects they are bound as. */
const GLOBALS = {
  wl_seat: [SEAT, 1],
  zwp_virtual_keyboard_manager_v1: [KEYBOARDS, 1],
  zwlr_virtual_pointer_manager_v1: [POINTERS, 1],
} as const;
const XKB_V1 = 1;
const KEYMAP = `xkb_keymap {
xkb_keycodes { include "evdev+aliases(qwerty)" };
xkb_types { include "complete" };
xkb_compat { include "complete" };
xkb_symbols { include "pc+us+inet(evdev)" };
};\0`;
const ANSWER_MS = 10_000;

/** Key codes of linux/input-event-codes.h. */
const CODES: Readonly<Record<string, number>> = Object.fromEntries(
  [...'1234567890']
    .map((key, i) => [key, 2 + i] as const)
    .concat(
      [...'qwertyuiop'].map((key, i) => [key, 16 + i] as const),
      [...'asdfghjkl'].map((key, i) => [key, 30 + i] as const),
      [...'zxcvbnm'].map((key, i) => [key, 44 + i] as const),
      [
        ['\n', 28],
        [' ', 57],
        ['-', 12],
        ['.', 52],
        ['/', 53],
      ],
    ),
);
/** linux/input-event-codes.h */
export const BTN_LEFT = 0x110;

/** The devices; disposing takes them away. */
export class VirtualInput implements Disposable {
  readonly #sys = openSys();
  readonly #loop = new NodeLoop(this.#sys);
  readonly #fd: Fd;
  readonly #stream = new MessageStream();
  readonly #received = this.#sys.socket.makeRecvResult(4);
  readonly #names = new Map<string, number>();
  readonly #answers = new Map<number, () => void>();
  #callbacks = FIRST_CALLBACK;
  #time = 0;

  private constructor(socketPath: string) {
    const fd = this.#sys.socket.connectUnix(socketPath);
    if (fd < 0) throw new SysError(-fd, 'connect');
    this.#fd = new Fd(this.#sys.fd, fd);
    this.#loop.watch(fd, EPOLLIN, () => this.#read());
    this.#loop.run();
  }

  /** @throws GuestError ERR_GUEST_UNSUPPORTED where the compositor has no such devices */
  static async open(socketPath: string): Promise<VirtualInput> {
    const input = new VirtualInput(socketPath);
    input.#request(DISPLAY_ID, 'wl_display.get_registry', [REGISTRY]);
    await input.#done();
    for (const [name, [id, version]] of Object.entries(GLOBALS)) {
      const global = input.#names.get(name);
      if (global === undefined) throw new GuestError('ERR_GUEST_UNSUPPORTED', `the compositor has no ${name}`);
      input.#request(REGISTRY, 'wl_registry.bind', [global, name, version, id]);
    }
    input.#request(KEYBOARDS, 'zwp_virtual_keyboard_manager_v1.create_virtual_keyboard', [SEAT, KEYBOARD]);
    input.#request(POINTERS, 'zwlr_virtual_pointer_manager_v1.create_virtual_pointer', [SEAT, POINTER]);
    input.#giveKeymap();
    input.#callbacks = MORE_CALLBACKS;
    await input.#done();
    return input;
  }

  /** Presses and lets go one key after the other: a-z, 0-9, space, newline, `-`, `.` and `/`. */
  async type(text: string): Promise<void> {
    for (const letter of text) {
      const code = CODES[letter];
      if (code === undefined) throw new RangeError(`no key for ${JSON.stringify(letter)}`);
      for (const state of [1, 0]) this.#request(KEYBOARD, 'zwp_virtual_keyboard_v1.key', [this.#time++, code, state]);
    }
    await this.#done();
  }

  /** Puts the pointer at a place of the output. */
  async point(x: number, y: number, output: { readonly width: number; readonly height: number }): Promise<void> {
    const place = [this.#time++, x, y, output.width, output.height];
    this.#request(POINTER, 'zwlr_virtual_pointer_v1.motion_absolute', place);
    this.#request(POINTER, 'zwlr_virtual_pointer_v1.frame', []);
    await this.#done();
  }

  /** Presses a button and lets it go. */
  async click(button: number = BTN_LEFT): Promise<void> {
    for (const state of [1, 0]) {
      this.#request(POINTER, 'zwlr_virtual_pointer_v1.button', [this.#time++, button, state]);
      this.#request(POINTER, 'zwlr_virtual_pointer_v1.frame', []);
    }
    await this.#done();
  }

  [Symbol.dispose](): void {
    this.#loop.stop();
    this.#loop[Symbol.dispose]();
    this.#fd.close();
  }

  #giveKeymap(): void {
    const bytes = Buffer.from(KEYMAP);
    const file = this.#sys.mem.memfdCreate('keymap', MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) throw new SysError(-file, 'memfd_create');
    using memory = new Fd(this.#sys.fd, file);
    this.#sys.fd.pwrite(memory.fd, bytes, bytes.length, 0);
    this.#request(KEYBOARD, 'zwp_virtual_keyboard_v1.keymap', [XKB_V1, bytes.length], [memory.fd]);
  }

  #request(id: number, what: string, values: readonly ArgumentValue[], fds: readonly number[] = []): void {
    const [name, request] = what.split('.') as [string, string];
    const { requests } = interfaceOf(name)!;
    const opcode = requests.findIndex((message) => message.name === request);
    const bytes = encodeMessage(id, opcode, requests[opcode]!, values);
    const sent = this.#sys.socket.sendmsg(this.#fd.fd, bytes, bytes.length, Int32Array.from(fds), fds.length);
    if (sent !== bytes.length) throw new SysError(sent < 0 ? -sent : EAGAIN, 'sendmsg');
  }

  /** Waits until the compositor has done all before. @throws GuestError ERR_GUEST_TIMEOUT */
  #done(): Promise<void> {
    const id = this.#callbacks++;
    const answered = new Promise<void>((resolve) => this.#answers.set(id, resolve));
    this.#request(DISPLAY_ID, 'wl_display.sync', [id]);
    return withTimeout(
      answered,
      ANSWER_MS,
      () => new GuestError('ERR_GUEST_TIMEOUT', 'the compositor does not answer'),
    );
  }

  #read(): void {
    const room = this.#stream.room(4096);
    const len = this.#sys.socket.recvmsg(this.#fd.fd, room, room.length, this.#received);
    for (let i = 0; i < this.#received.fdCount; i++) this.#sys.fd.close(this.#received.fds[i]!);
    if (len === 0) this.#loop.stop();
    if (len <= 0) return;
    this.#stream.filled(len);
    while (this.#stream.next()) {
      const { objectId, view, start } = this.#stream;
      if (objectId === REGISTRY && this.#stream.opcode === 0) {
        const length = view.getUint32(start + 12, true);
        const name = Buffer.from(this.#stream.message).toString('latin1', 16, 16 + length - 1);
        this.#names.set(name, view.getUint32(start + 8, true));
      }
      this.#answers.get(objectId)?.();
    }
  }
}
