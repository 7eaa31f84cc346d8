import { ciSoak } from './support/ci-soak.ts';

ciSoak('two-devices', 60);
