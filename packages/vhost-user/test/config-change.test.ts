import { ECANCELED, EIO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendProfile, profiles } from '../src/index.ts';
import { BackSetup } from './support/back-peer.ts';
import { u32s } from './support/prelude.ts';

const ENABLE = 18;

/** Never gives up waiting within a test. */
const patient: FrontendProfile = { ...profiles.qemu, fenceTimeoutMs: 60_000 };

describe('CONFIG_CHANGE_MSG', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('is sent while rings run', () => {
    using setup = new BackSetup();
    const errors: number[] = [];
    setup.backend.configChanged((error) => errors.push(error));
    expect(setup.answer(0)).to.equal('2 ');
    expect(errors).to.deep.equal([0]);
  });

  it('waits for the next start otherwise, once for all changes', () => {
    using setup = new BackSetup();
    setup.peer.ask(ENABLE, u32s(0, 0));
    const errors: number[] = [];
    setup.backend.configChanged((error) => errors.push(error));
    setup.backend.configChanged((error) => errors.push(error));
    expect(setup.back.receiveHex()).to.equal('null');
    setup.peer.ask(ENABLE, u32s(0, 1));
    setup.answer(0);
    expect(setup.back.receiveHex()).to.equal('null');
    expect(errors).to.deep.equal([0, 0]);
  });

  it('waits for the next start when a stop came before it could be sent', () => {
    using setup = new BackSetup({ profile: patient });
    const errors: number[] = [];
    setup.map(0);
    setup.backend.configChanged((error) => errors.push(error));
    setup.settle();
    setup.peer.ask(ENABLE, u32s(0, 0));
    setup.answer(0);
    expect(setup.back.receiveHex()).to.equal('null');
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.answer(1)).to.equal('2 ');
    expect(errors).to.deep.equal([-EIO]);
  });

  it('ends with the connection', () => {
    using setup = new BackSetup();
    setup.peer.ask(ENABLE, u32s(0, 0));
    const errors: number[] = [];
    setup.backend.configChanged((error) => errors.push(error));
    setup.backend[Symbol.dispose]();
    expect(errors).to.deep.equal([-ECANCELED]);
  });
});
