import { EFAULT } from '@oriel/sys';
import { expect } from 'chai';
import type { RequestEncoder } from '../src/client/index.ts';
import type { IoVector } from '../src/index.ts';
import type { TestClient } from '../src/testing/index.ts';
import { connect } from './harness.ts';
import type { RecordingFilesystem } from './recording-filesystem.ts';

describe('memory that cannot be read', () => {
  let client: TestClient;
  let fs: RecordingFilesystem;
  beforeEach(() => {
    ({ client, fs } = connect());
  });
  afterEach(() => {
    expect(client.session.inFlight).to.equal(0);
    client[Symbol.dispose]();
  });

  /** Sends a request of which only the first `readable` bytes can be read, in pieces that all lie before that or not at all. */
  function send(one: RequestEncoder, readable: number, data?: Uint8Array): void {
    client.message.load(one.bytes, one.len, one.room, data);
    const read = client.message.read.bind(client.message);
    client.message.read = (offset, to, toOffset, len) =>
      offset + len <= readable ? read(offset, to, toOffset, len) : -EFAULT;
    client.session.handle(client.message);
  }

  it('in the header: nothing is answered', () => {
    for (const readable of [0, 39]) {
      send(client.request.getattr(1), readable);
      expect(client.message.written).to.equal(0);
    }
    expect(client.session.stats.malformed).to.equal(2);
    expect(fs.take()).to.deep.equal([]);
  });

  it('in the arguments: EFAULT, and nothing is executed', () => {
    const { request } = client;
    const data = new Uint8Array(100);
    for (const make of [() => request.lookup(1, 'name'), () => request.getattr(1), () => request.write(1, 1, 0, 100)]) {
      const one = make();
      send(one, 40, one.len === 80 ? data : undefined);
      expect(client.take(one).error).to.equal(EFAULT);
    }
    expect(fs.take()).to.deep.equal([]);
  });

  it('in the arguments of a request without a reply: it is dropped', () => {
    send(client.request.forget(2, 1), 40);
    expect(client.message.written).to.equal(0);
    expect(fs.take()).to.deep.equal([]);
  });

  it('behind the first 128 bytes: EFAULT', () => {
    const one = client.request.setxattr(1, 'user.a', new Uint8Array(1000));
    send(one, 128);
    expect(client.take(one).error).to.equal(EFAULT);
  });

  it('in the data of a WRITE: the Filesystem finds out, the rest of the request is known', () => {
    for (const len of [1, 48, 5000]) {
      fs.answers['write'] = (_op, _nodeid: number, _fh: number, _offset: number, io: IoVector) =>
        io.read(0, new Uint8Array(len), 0, len);
      const one = client.request.write(3, 4, 5, len);
      send(one, 80, new Uint8Array(len));
      expect(client.take(one).error).to.equal(EFAULT);
      expect(fs.take()[0]!.slice(0, 4)).to.deep.equal(['write', 3, 4, 5]);
    }
  });
});
