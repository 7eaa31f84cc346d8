/** The guest's work on the share: by requests and through the DAX window, every byte known. */
import { DaxMapper, FuseClient, type LoopbackVm, type OpenFile } from '@oriel/test-vm-loopback';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import { FILE_BYTES, type TrueFile } from './stage.ts';

const MOST_PIECE = 300_000;

/** What is done. */
export type FileAction = 'load' | 'store' | 'read' | 'write' | 'evict' | 'remount';

interface Work {
  readonly truth: Uint8Array;
  readonly file: OpenFile;
}

export class FilesLoad {
  readonly #client: FuseClient;
  readonly #dax: DaxMapper;
  readonly #random: Xorshift;
  readonly #files: readonly TrueFile[];
  #work: readonly Work[] = [];

  constructor(vm: LoopbackVm, files: readonly TrueFile[], random: Xorshift) {
    this.#client = new FuseClient(vm);
    this.#dax = new DaxMapper(this.#client);
    this.#random = random;
    this.#files = files;
    this.#mount();
  }

  act(action: FileAction): void {
    const random = this.#random;
    const { truth, file } = random.pick(this.#work);
    const offset = random.below(FILE_BYTES - 1);
    const len = Math.min(FILE_BYTES - offset, random.from(1, random.once(10) ? MOST_PIECE : 5000));
    const part = truth.subarray(offset, offset + len);
    switch (action) {
      case 'load': {
        const found = new Uint8Array(len);
        this.#dax.read(file.nodeid, offset, found);
        this.#expect(file, offset, found, part);
        break;
      }
      case 'store':
        this.#dax.write(file.nodeid, offset, random.fill(part));
        break;
      case 'read':
        this.#expect(file, offset, this.#client.read(file, offset, len), part);
        break;
      case 'write':
        this.#client.write(file, offset, random.fill(part));
        break;
      case 'evict':
        this.#dax.evict(file.nodeid);
        break;
      case 'remount':
        this.end();
        this.#mount();
        break;
    }
  }

  /** Unmounts: nothing is mapped any more. */
  end(): void {
    this.#client.unmount();
    this.#dax.forgetAll();
    same('ranges mapped after an unmount', this.#client.vm.window.entries().length, 0);
  }

  #mount(): void {
    this.#client.mount('always');
    this.#work = this.#files.map(({ name, bytes }) => ({ truth: bytes, file: this.#client.open(name) }));
  }

  #expect(file: OpenFile, offset: number, found: Uint8Array, wanted: Uint8Array): void {
    must(Buffer.compare(found, wanted) === 0, `${wanted.length} bytes at ${offset} of node ${file.nodeid} differ`);
  }
}
