export declare const v: string;
