import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type VhostUserEvent, vhostUserChannel } from '../src/index.ts';
import { BackSetup } from './support/back-peer.ts';

describe('vhostUserChannel', () => {
  it('shows the messages of both channels while somebody looks', () => {
    using _leaks = leakCheck();
    using setup = new BackSetup();
    const events: VhostUserEvent[] = [];
    const look = (event: unknown) => events.push(event as VhostUserEvent);
    vhostUserChannel.subscribe(look);
    try {
      setup.map(0);
      setup.answer(0);
      setup.addRegion(0);
    } finally {
      vhostUserChannel.unsubscribe(look);
    }
    setup.peer.ask(3);
    expect(events).to.deep.equal([
      { channel: 'back', direction: 'out', name: 'SHMEM_MAP', flags: 9, size: 40, fds: 1 },
      { channel: 'back', direction: 'in', name: 'SHMEM_MAP', flags: 5, size: 8, fds: 0 },
      { channel: 'main', direction: 'in', name: 'ADD_MEM_REG', flags: 9, size: 40, fds: 1 },
      { channel: 'main', direction: 'out', name: 'ADD_MEM_REG', flags: 5, size: 8, fds: 0 },
    ]);
  });
});
