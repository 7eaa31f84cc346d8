/** The registered context types, by capset. */
import { GpuError } from '../errors.ts';
import type { ContextType } from './context-type.ts';

const MAX_CAPSET_ID = 63;

/** Context types in the order of GET_CAPSET_INFO. */
export class Capsets {
  readonly types: readonly ContextType[];

  /** @throws GpuError ERR_GPU_CAPSET */
  constructor(types: readonly ContextType[]) {
    const seen = new Set<number>();
    for (const { capsetId, name } of types) {
      if (!Number.isInteger(capsetId) || capsetId < 1 || capsetId > MAX_CAPSET_ID) {
        throw new GpuError('ERR_GPU_CAPSET', `context type ${name} has capset id ${capsetId}, want 1 to 63`);
      }
      if (seen.has(capsetId)) throw new GpuError('ERR_GPU_CAPSET', `two context types with capset id ${capsetId}`);
      seen.add(capsetId);
    }
    this.types = [...types];
  }

  get count(): number {
    return this.types.length;
  }

  byIndex(index: number): ContextType | null {
    return this.types[index] ?? null;
  }

  /** The type of a capset id; 0 is the first one. */
  byId(capsetId: number): ContextType | null {
    return (capsetId === 0 ? this.types[0] : this.types.find((type) => type.capsetId === capsetId)) ?? null;
  }
}
