/** The VMM's end of the display channel (QEMU docs/interop/vhost-user-gpu.rst): takes pictures into memory, as QEMU does. */
import { bytes, struct, U32, U64 } from '@oriel/layout';
import { check, EAGAIN, EINTR, EPOLLIN, type EventLoop, errnoName, type Fd, Mapping, type Sys } from '@oriel/sys';

const GET_PROTOCOL_FEATURES = 1;
const UPDATE = 8;
const FLAG_REPLY = 4;
const BYTES_PER_PIXEL = 4;
/** Bodies other than pixels are of a few words. */
const MOST_WORDS_BYTES = 64;

const Header = struct('VhostUserGpuMsg', { request: U32, flags: U32, size: U32 });
const Answer = struct('VhostUserGpuMsg_u64', { request: U32, flags: U32, size: U32, u64: U64 }, { packed: true });
const Update = struct('VhostUserGpuUpdate', {
  ...{ request: U32, flags: U32, size: U32 },
  ...{ scanoutId: U32, x: U32, y: U32, width: U32, height: U32 },
});
const Message = struct('VhostUserGpuMsg_any', {
  ...{ request: U32, flags: U32, size: U32 },
  body: bytes(MOST_WORDS_BYTES),
});

/** One display whose updates span its whole width. */
export class DisplayReader implements Disposable {
  readonly width: number;
  readonly height: number;
  /** Pictures that are complete: updates that reached the last row. */
  pictures = 0;
  /** What broke the channel; '' while nothing did. */
  problem = '';
  readonly #sys: Pick<Sys, 'fd'>;
  readonly #socket: Fd;
  readonly #picture: Mapping;
  readonly #watch: Disposable;
  readonly #head = new Uint8Array(Message.byteLength);
  readonly #view = new DataView(this.#head.buffer);
  /** Bytes of the head that are there, and that are wanted. */
  #have = 0;
  #want: number = Header.byteLength;
  /** Where the next pixel byte goes, and how many are to come. */
  #at = 0;
  #left = 0;

  /** @param socket - given away */
  constructor(sys: Pick<Sys, 'fd' | 'mem'>, loop: EventLoop, socket: Fd, width: number, height: number) {
    this.#sys = sys;
    this.#socket = socket;
    this.width = width;
    this.height = height;
    this.#picture = Mapping.anonymous(sys.mem, width * height * BYTES_PER_PIXEL);
    // Touched before anything is timed.
    this.#picture.u8.fill(0);
    this.#watch = loop.watch(socket.fd, EPOLLIN, () => this.#readAll());
  }

  /** Rows of pixels: B, G, R, X. */
  get picture(): Uint8Array {
    return this.#picture.u8;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#socket.close();
    this.#picture[Symbol.dispose]();
  }

  #readAll(): void {
    this.#readWhatIsThere();
    // What follows a broken message means nothing.
    if (this.problem !== '') this.#watch[Symbol.dispose]();
  }

  #readWhatIsThere(): void {
    while (this.problem === '') {
      const isPixels = this.#left > 0;
      const to = isPixels ? this.#picture.addr + this.#at : this.#head.subarray(this.#have, this.#want);
      const want = isPixels ? this.#left : this.#want - this.#have;
      const got = this.#sys.fd.read(this.#socket.fd, to, want);
      if (got === -EAGAIN) return;
      if (got === -EINTR) continue;
      if (got <= 0) this.problem = got === 0 ? 'the back-end closed it' : errnoName(-got);
      else if (isPixels) this.#tookPixels(got);
      else this.#tookHead(got);
      // Nothing is left; the loop calls again for what comes.
      if (got < want) return;
    }
  }

  #tookPixels(got: number): void {
    this.#at += got;
    this.#left -= got;
    if (this.#left === 0 && this.#at === this.#picture.len) this.pictures++;
  }

  #tookHead(got: number): void {
    this.#have += got;
    if (this.#have < this.#want) return;
    const view = this.#view;
    const request = Header.request.get(view, 0);
    const size = Header.size.get(view, 0);
    if (this.#have === Header.byteLength && size > 0) {
      this.#want = request === UPDATE ? Update.byteLength : Header.byteLength + size;
      if (this.#want > this.#head.length) this.problem = `request ${request} of ${size} bytes`;
      return;
    }
    this.#have = 0;
    this.#want = Header.byteLength;
    if (request === UPDATE) this.#beginUpdate(size);
    else if (request === GET_PROTOCOL_FEATURES) this.#answerFeatures();
  }

  #beginUpdate(size: number): void {
    const view = this.#view;
    const x = Update.x.get(view, 0);
    const y = Update.y.get(view, 0);
    const width = Update.width.get(view, 0);
    const height = Update.height.get(view, 0);
    const pixelBytes = width * height * BYTES_PER_PIXEL;
    const fits = x === 0 && width === this.width && y + height <= this.height;
    if (!fits || size !== Update.byteLength - Header.byteLength + pixelBytes) {
      this.problem = `update of ${width} x ${height} at ${x}, ${y} with ${size} bytes`;
      return;
    }
    this.#at = y * width * BYTES_PER_PIXEL;
    this.#left = pixelBytes;
  }

  /** None: pixels come as UPDATE. */
  #answerFeatures(): void {
    const answer = new Uint8Array(Answer.byteLength);
    const view = new DataView(answer.buffer);
    Answer.request.set(view, 0, GET_PROTOCOL_FEATURES);
    Answer.flags.set(view, 0, FLAG_REPLY);
    Answer.size.set(view, 0, Answer.byteLength - Header.byteLength);
    check(this.#sys.fd.write(this.#socket.fd, answer, answer.length), 'write');
  }
}
