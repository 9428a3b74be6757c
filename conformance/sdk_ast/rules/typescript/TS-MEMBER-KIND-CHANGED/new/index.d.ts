export declare class C { get a(): string; set a(v: string) }
