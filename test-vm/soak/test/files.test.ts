import { ciSoak } from './support/ci-soak.ts';

ciSoak('files');
