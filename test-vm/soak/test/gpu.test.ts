import { ciSoak } from './support/ci-soak.ts';

ciSoak('gpu', 60);
