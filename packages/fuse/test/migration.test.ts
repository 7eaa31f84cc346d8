import { EPROTO } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import type { SessionState } from '../src/index.ts';
import { TestClient } from '../src/testing/index.ts';
import { connect, sys } from './harness.ts';
import { RecordingFilesystem } from './recording-filesystem.ts';

describe('a session of another host', () => {
  let leaks: ReturnType<typeof leakCheck>;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('goes on without INIT, with what was agreed', () => {
    using from = connect().client;
    const state = from.session.state!;
    const fs = new RecordingFilesystem();
    using to = new TestClient({ sys, fs });
    expect([to.session.state, to.session.initialised]).to.deep.equal([null, false]);
    expect(to.session.fits(state)).to.equal(0);
    to.session.takeOver(state);
    expect(to.session.initialised).to.equal(true);
    expect(to.session.state).to.deep.equal(state);
    expect(to.call(to.request.statfs(1)).error).to.equal(0);
    // Its end is the Filesystem's, too.
    fs.take();
    to.session.reset();
    expect(JSON.stringify(fs.take())).to.include('destroy');
    expect([to.session.state, to.session.initialised]).to.deep.equal([null, false]);
  });

  it('does not fit where something else would be agreed, nor with a request that is none', () => {
    using from = connect().client;
    const state = from.session.state!;
    using to = new TestClient({ sys, fs: new RecordingFilesystem(), maxPages: 16 });
    expect(to.session.fits(state)).to.equal(-EPROTO);
    const wrong: Partial<SessionState>[] = [
      { flagsLo: state.flagsLo ^ 1 },
      { flagsHi: state.flagsHi ^ 1 },
      { maxPages: 255 },
      { init: new Uint8Array(0) },
      { init: state.init.subarray(0, 15) },
      { init: state.init.map((byte, at) => (at === 0 ? byte + 1 : byte)) },
      { init: state.init.map((byte, at) => (at === 4 ? 26 : byte)) },
    ];
    using same = new TestClient({ sys, fs: new RecordingFilesystem() });
    for (const change of wrong) {
      expect(same.session.fits({ ...state, ...change }), JSON.stringify(Object.keys(change))).to.equal(-EPROTO);
    }
    expect(same.session.fits(state)).to.equal(0);
    expect(same.session.initialised).to.equal(false);
  });
});
