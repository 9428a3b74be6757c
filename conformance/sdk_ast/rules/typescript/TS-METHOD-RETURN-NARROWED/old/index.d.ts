export interface I { m(): string | undefined }
