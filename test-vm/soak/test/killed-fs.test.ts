import { ciSoak } from './support/ci-soak.ts';

// Twenty kills.
ciSoak('killed-fs', 60, 2);
