export interface I { a?: string; [k: string]: string | undefined }
