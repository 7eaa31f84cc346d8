export { BackendConnection, FeatureSet, profiles } from '../src/index.ts';
export const frontendName = 1;
