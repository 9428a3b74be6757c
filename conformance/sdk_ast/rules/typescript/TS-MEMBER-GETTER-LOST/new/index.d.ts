export declare class C { set a(v: string | undefined) }
