export declare abstract class C { a: string; abstract m(): void }
