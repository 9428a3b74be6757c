/** @deprecated use b */
export declare const a: 1;
