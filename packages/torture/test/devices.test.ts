/** The whole suite against the example devices of `virtio-device`: they refuse or bear, and live. */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { allClauses, judge, knownDevice, Peer } from '../src/index.ts';
import { Child } from './support/child.ts';

const sys = openSys();

describe('the suite against our devices', function () {
  this.timeout(120_000);

  for (const name of ['rng', 'blk']) {
    it(`${name}: rejects or passes every clause`, async () => {
      using dir = tempDir();
      const image = join(dir.path, 'disk.img');
      writeFileSync(image, '');
      truncateSync(image, 1 << 20);
      const socketPath = join(dir.path, 'socket');
      await using child = await Child.start('serve-example.ts', name, socketPath, image);
      const leaks = leakCheck();
      const device = knownDevice(name)!;
      const counts: Record<string, number> = {};
      {
        using peer = new Peer({ sys, connect: () => sys.socket.connectUnix(socketPath) });
        expect(peer.probe(device)).to.deep.equal({ kind: 'served' });
        for (const clause of allClauses(device)) {
          const { verdict, detail } = judge(peer.run(clause, device), null);
          counts[verdict] = (counts[verdict] ?? 0) + 1;
          expect(verdict, `${clause.id}: ${detail}`).to.be.oneOf(['REJECT', 'PASS', 'SKIP']);
          expect(detail, clause.id).not.to.include('more than before');
        }
      }
      expect(counts['REJECT']).to.be.greaterThan(300);
      expect(counts['PASS']).to.be.greaterThan(40);
      expect(child.alive).to.equal(true);
      leaks.check();
    });
  }
});
