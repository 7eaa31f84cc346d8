import { silentLogger } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { DeviceRegions } from '../src/device-regions.ts';

describe('DeviceRegions', () => {
  it('says that mappings are refused ten times a second at most', () => {
    const lines: string[] = [];
    const log = { ...silentLogger, warn: (message: string) => void lines.push(message) };
    const transport = { ready: true, map() {}, unmap() {} };
    const { limits } = profiles.strict;
    const regions = new DeviceRegions([{ shmid: 1, size: 1 << 20 }], { limits, maxMappings: 4, transport, log });
    regions.resume();
    const answers: number[] = [];
    const place = { fd: 0, fdOffset: 0, len: 4096, writable: true, owner: regions, label: 'x' };
    const from = performance.now();
    for (let i = 0; i < 1000; i++) {
      regions.byId.get(1)!.map({ ...place, shmOffset: 1 << 20 }, (error) => answers.push(error));
    }
    expect(new Set(answers)).to.have.length(1);
    expect(answers).to.have.length(1000);
    const seconds = (performance.now() - from) / 1000;
    expect(lines).to.have.length.within(10, 10 * (1 + Math.floor(seconds)));
  });
});
