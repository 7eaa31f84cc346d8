import { ciSoak } from './support/ci-soak.ts';

ciSoak('many-files', 5, 4);
