export declare const v: string | undefined;
