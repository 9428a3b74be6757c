export declare abstract class C { abstract m(): void }
