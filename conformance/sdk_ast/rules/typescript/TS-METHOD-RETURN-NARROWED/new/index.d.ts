export interface I { m(): string }
