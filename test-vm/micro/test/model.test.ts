import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { loadMutant, MUTANTS, type Mutant } from '../src/model/mutants.ts';
import { MODEL_SETTINGS, runModel } from '../src/model/run-model.ts';

/** In all, over the settings. */
const OPERATIONS = 100_000;
const SEED = 20_261_122;
/** A planted bug is found within so many, in the setting that shows it. */
const MUTANT_OPERATIONS = 3000;

/** The operations that every setting must have met, and the answers. */
const WANTED = [
  ...['create', 'map', 'map while stopped', 'crooked map', 'split', 'upgrade', 'unmap', 'unmap all', 'owner dies'],
  ...['rogue crooked', 'rogue unmap', 'pause', 'resume', 'reset', 'disconnect', 'reconnect'],
  ...['crash of the back-end', 'crash of the front-end'],
  ...['mapped', 'EINVAL', 'EEXIST', 'ENOSPC', 'EBADF', 'EIO', 'ECANCELED'],
];

describe('a region, its window and a front-end over a socket, against a model', function () {
  this.timeout(120_000);
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  let done = 0;
  MODEL_SETTINGS.forEach((setting, index) => {
    const { pageSize, profile, unmapped } = setting;
    it(`pages of ${pageSize / 1024} KiB, ${profile}, unmapped pages ${unmapped}`, () => {
      const operations = Math.ceil(OPERATIONS / MODEL_SETTINGS.length);
      const count = runModel({ setting, seed: SEED + 1_000_000 * index, operations });
      done += count.operations;
      for (const name of WANTED) {
        expect(count.byName[name] ?? 0, name).to.be.above(0);
      }
    });
  });

  it('made 100,000 operations', () => {
    expect(done).to.be.at.least(OPERATIONS);
  });

  describe('finds a planted bug', () => {
    for (const mutant of MUTANTS) {
      it(`${mutant.subject}: ${mutant.name}`, async () => {
        const library = await loadMutant(mutant);
        const caught = MODEL_SETTINGS.some((setting) => {
          try {
            runModel({ setting, seed: SEED, operations: MUTANT_OPERATIONS, library, shrink: false });
            return false;
          } catch (error) {
            expect((error as Error).cause, String(error)).to.be.instanceOf(Error);
            return true;
          }
        });
        expect(caught).to.equal(true);
      });
    }

    it('and only then: the package as it is, loaded the same way, is sound', async () => {
      const [first] = MUTANTS as [Mutant, ...Mutant[]];
      const library = await loadMutant({ ...first, replace: first.find });
      for (const setting of MODEL_SETTINGS) {
        const count = runModel({ setting, seed: SEED, operations: MUTANT_OPERATIONS, library });
        expect(count.operations).to.be.at.least(MUTANT_OPERATIONS);
      }
    });
  });
});
