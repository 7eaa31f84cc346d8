/** A soak as one test: short, from a fixed seed, so that a failure here is a failure everywhere. */
import { expect } from 'chai';
import { runSoak } from '../../src/run.ts';
import { soakNamed } from '../../src/soaks.ts';

const SECONDS = 20;
const MOST_SECONDS = 60;
const SEED = 20261122;
/** For the round that begins last: those of `killed-fs` take half a minute, more where others have the processors. */
const GRACE_SECONDS = 150;

/**
 * Declares the test of the soak with this name.
 * @param usual - how long, unless ORIEL_SOAK_SECONDS in the environment says
 * @param rounds - most rounds; the last one may begin while there is time
 */
export function ciSoak(name: string, usual = SECONDS, rounds = 0): void {
  const seconds = Math.min(Number(process.env['ORIEL_SOAK_SECONDS'] ?? usual), MOST_SECONDS);
  const soak = soakNamed(name)!;
  describe(`soak ${name}`, function () {
    this.timeout((seconds + 2 * GRACE_SECONDS) * 1000);

    it(`stands ${soak.about}, for ${seconds} s`, async () => {
      const report = await runSoak(soak, { seconds, seed: SEED, rounds, graceSeconds: GRACE_SECONDS });
      const { failure, seed, operations } = report;
      const again = `npm run soak -- --only ${name} --seed ${seed} --rounds 1`;
      expect(failure, `${failure?.message}\n${failure?.stack}\nagain: ${again}`).to.equal(null);
      expect(operations).to.be.greaterThan(0);
    });
  });
}
