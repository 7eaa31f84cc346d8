import { Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { VhostUserError } from '../src/index.ts';
import { everything } from './support/everything.ts';
import type { FrontendSetup } from './support/frontend-setup.ts';
import { u64s } from './support/prelude.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const code = (error: Error | null) => (error === null ? 'none' : (error as VhostUserError).code);

describe('FrontendConnection, device state', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  /** Takes SET_DEVICE_STATE_FD, and answers that its descriptor is used. */
  function accept(setup: FrontendSetup, payload: string): Fd {
    const request = setup.peer.receive();
    expect([request.id, hex(request.payload)]).to.deep.equal([42, payload]);
    setup.peer.send(42, 5, u64s(0x100));
    setup.settle();
    return new Fd(setup.sys.fd, request.fds[0]!);
  }

  it('saves to the end of the stream, then checks', () => {
    using setup = everything();
    let saved: Uint8Array | undefined;
    setup.frontend.saveState((_error, bytes) => {
      saved = bytes;
    });
    using end = accept(setup, '0000000000000000');
    expect(setup.sys.fd.write(end.fd, Uint8Array.of(1, 2, 3), 3)).to.equal(3);
    setup.settle();
    expect(setup.sys.fd.write(end.fd, Uint8Array.of(4), 1)).to.equal(1);
    setup.settle();
    expect(setup.peer.next()).to.equal(null);
    end.close();
    expect(setup.reply(u64s(0))).to.equal(43);
    expect([...saved!]).to.deep.equal([1, 2, 3, 4]);
  });

  it('loads more than a socket takes, closes, then checks', () => {
    using setup = everything();
    const state = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 251);
    let outcome = 'pending';
    setup.frontend.loadState(state, (error) => {
      outcome = code(error);
    });
    using end = accept(setup, '0100000000000000');
    setup.sys.fd.setNonBlocking(end.fd, true);
    const got: Buffer[] = [];
    for (;;) {
      setup.settle();
      const chunk = Buffer.alloc(100_000);
      const read = setup.sys.fd.read(end.fd, chunk, chunk.length);
      if (read === 0) {
        break;
      }
      got.push(chunk.subarray(0, Math.max(read, 0)));
    }
    expect(Buffer.compare(Buffer.concat(got), state)).to.equal(0);
    expect(setup.reply(u64s(1))).to.equal(43);
    expect(outcome).to.equal('ERR_VU_REFUSED');
  });

  it('takes no more than the limit', () => {
    using setup = everything();
    let outcome = 'pending';
    setup.frontend.saveState((error) => {
      outcome = code(error);
    }, 3);
    using end = accept(setup, '0000000000000000');
    setup.sys.fd.write(end.fd, Uint8Array.of(1, 2, 3, 4), 4);
    setup.settle();
    expect(outcome).to.equal('ERR_VU_TOO_LARGE');
  });

  it('ends with the connection, and is one at a time', () => {
    using setup = everything();
    const outcomes: string[] = [];
    setup.frontend.saveState((error) => outcomes.push(code(error)));
    using end = accept(setup, '0000000000000000');
    setup.frontend.loadState(Uint8Array.of(1), (error) => outcomes.push(code(error)));
    setup.settle();
    setup.peer.close();
    setup.settle();
    expect(outcomes).to.deep.equal(['ERR_VU_STATE', 'ERR_VU_CLOSED']);
    expect(setup.sys.fd.write(end.fd, Uint8Array.of(1), 1)).to.be.lessThan(0);
  });
});
