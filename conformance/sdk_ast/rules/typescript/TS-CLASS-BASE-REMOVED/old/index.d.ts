export declare class B { b: string }
export declare class C extends B { }
