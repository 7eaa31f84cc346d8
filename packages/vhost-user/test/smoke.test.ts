import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { MockSetup } from './support/setup.ts';

describe('BackendConnection with a mock front-end', () => {
  it('negotiates, shares memory, starts and stops rings', () => {
    using _leaks = leakCheck();
    using setup = new MockSetup();
    const { mock, handler, backend } = setup;
    mock.connect();
    expect(mock.frontend.queueCount).to.equal(2);
    expect(mock.frontend.shmRegions).to.deep.equal([{ shmid: 0, size: 0x10000 }]);
    expect(mock.frontend.protocolFeatures.bits()).to.deep.equal([0, 3, 5, 9, 10, 13, 15, 16, 22]);
    mock.startRing(0);
    expect(backend.running).to.equal(true);
    expect(backend.mapTransport.ready).to.equal(true);
    handler.bases.set(0, 7);
    expect(mock.stopRing(0)).to.equal(7);
    expect(handler.take()).to.deep.equal([
      'features 0x120000001',
      'memory',
      'call 0 fd',
      'resumed',
      'start 0 base 0',
      'stop 0',
      'suspended',
    ]);
  });
});
