/** Runs random commands against the model and the real thing. */
import type { UnmappedPolicy } from '@oriel/shm-region';
import { errnoName, openSys, type Sys } from '@oriel/sys';
import { type FrontendProfile, profileFor } from '@oriel/vhost-user';
import fc from 'fast-check';
import { type Library, realLibrary } from '../sides/library.ts';
import { type Count, REGION_PAGES, regionCommands } from './commands.ts';
import { Trial } from './trial.ts';

/** One kind of region. */
export interface ModelSetting {
  /** Of the region, bytes: a multiple of the host's. */
  readonly pageSize: number;
  readonly profile: FrontendProfile['name'];
  readonly unmapped: UnmappedPolicy;
}

/** Every page size with every way of overlapping, unmapping, resetting and becoming visible. */
export const MODEL_SETTINGS: readonly ModelSetting[] = [4096, 16384, 65536].flatMap((pageSize, index) => [
  { pageSize, profile: 'strict', unmapped: (['fault', 'private', 'zero-ro'] as const)[index]! },
  { pageSize, profile: 'alioth', unmapped: (['private', 'discard', 'inject'] as const)[index]! },
  { pageSize, profile: 'qemu', unmapped: (['zero-ro', 'fault', 'private'] as const)[index]! },
]);

export interface ModelRun {
  readonly setting: ModelSetting;
  readonly seed: number;
  /** At least so many. */
  readonly operations: number;
  readonly library?: Library;
  /** Search for a shorter case when one fails; true by default. */
  readonly shrink?: boolean;
}

const MOST_COMMANDS = 400;
const RUNS_A_ROUND = 5;
/** Where no memory-table update comes, the barrier does its work soon. */
const FENCE_TIMEOUT_MS = 2;
/** Few enough that budgets are met. */
const MAX_MAPPINGS = 5;

/** @returns what was done. @throws Error with the shortest failing case and its seed */
export function runModel({ setting, seed, operations, library = realLibrary, shrink = true }: ModelRun): Count {
  const real = openSys();
  const sys: Sys = { ...real, mem: { ...real.mem, pageSize: setting.pageSize } };
  const base = profileFor(setting.profile, setting.pageSize);
  const limits = { ...base.limits, maxMappings: MAX_MAPPINGS };
  const profile = { ...base, limits, fenceTimeoutMs: FENCE_TIMEOUT_MS };
  const size = REGION_PAGES * setting.pageSize;
  const count: Count = { operations: 0, byName: {} };
  const commands = fc.commands(regionCommands(setting.pageSize, count), { maxCommands: MOST_COMMANDS, size: 'max' });
  const property = fc.property(commands, (steps) => {
    using trial = new Trial({ sys, library, profile, size, unmapped: setting.unmapped });
    trial.create();
    fc.modelRun(() => ({ model: trial.model, real: trial }), steps);
    trial.settle();
    for (const [outcome, times] of trial.model.outcomes) {
      const name = outcome === 0 ? 'mapped' : errnoName(-outcome);
      count.byName[name] = (count.byName[name] ?? 0) + times;
    }
  });
  for (let round = 0; count.operations < operations; round += 1) {
    fc.assert(property, { seed: seed + round, numRuns: RUNS_A_ROUND, endOnFailure: !shrink });
  }
  return count;
}

/** One round of a soak: a setting and its commands, both from the seed. */
export function runAnyModel(seed: number, operations: number): Count {
  return runModel({ setting: MODEL_SETTINGS[seed % MODEL_SETTINGS.length]!, seed, operations });
}
