import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { BACKEND_MESSAGES, FRONTEND_MESSAGES } from '../src/index.ts';
import { backendMessage, frontendMessage, frontendMessageNamed } from '../src/protocol/messages.ts';
import { bare, bytesOf, FRONTEND_GOLDEN } from './support/golden.ts';
import { prelude, SentFds } from './support/prelude.ts';
import { RawSetup } from './support/setup.ts';

describe('the message table', () => {
  it('has front-end messages 1 to 45 and back-end messages 1 to 10, in order, each name once', () => {
    expect(FRONTEND_MESSAGES.map((spec) => spec.id)).to.deep.equal(Array.from({ length: 45 }, (_, i) => i + 1));
    expect(BACKEND_MESSAGES.map((spec) => spec.id)).to.deep.equal(Array.from({ length: 10 }, (_, i) => i + 1));
    expect(new Set(FRONTEND_MESSAGES.map((spec) => spec.name)).size).to.equal(45);
    expect(new Set(BACKEND_MESSAGES.map((spec) => spec.name)).size).to.equal(10);
  });

  it('finds messages by number and name, and nothing outside', () => {
    expect(frontendMessage(45)?.name).to.equal('GET_VRING_BASE_SKIP_DRAIN');
    expect(backendMessage(9)?.name).to.equal('SHMEM_MAP');
    expect([0, 46, 0xffff_ffff].map((id) => frontendMessage(id))).to.deep.equal([undefined, undefined, undefined]);
    expect([0, 11].map((id) => backendMessage(id))).to.deep.equal([undefined, undefined]);
    expect(() => frontendMessageNamed('FS_MAP')).to.throw(RangeError);
  });
});

describe('BackendConnection, golden bytes', () => {
  for (const spec of FRONTEND_MESSAGES) {
    const golden = FRONTEND_GOLDEN[spec.name];
    it(`answers ${spec.name} ${golden.answer === 'eof' ? 'by closing' : 'with the bytes of the specification'}`, () => {
      using _leaks = leakCheck();
      using setup = new RawSetup();
      prelude(setup);
      using fds = new SentFds(setup.sys, golden.fds ?? []);
      setup.peer.sendBytes(bytesOf(golden.request), fds.numbers);
      const answer = setup.peer.receiveHex();
      expect(answer).to.equal(golden.answer === 'eof' ? 'eof' : bare(golden.answer));
      expect(setup.peer.receiveHex()).to.equal(golden.answer === 'eof' ? 'eof' : 'null');
      expect(setup.backend.closed).to.equal(golden.answer === 'eof');
    });
  }
});
