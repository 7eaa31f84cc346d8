import { ciSoak } from './support/ci-soak.ts';

ciSoak('model', 10);
